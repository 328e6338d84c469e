"""What training needs on top of inference: which weights learn, and where gradients flow."""
