"""ONNX Runtime's graph optimizers as rules on a program: ORT_ENABLE_ALL of release 1.32.0.

One module per family of optimizers; `levels` holds the order in which they run. What a rule's
docstring calls observed was seen in the graphs that ONNX Runtime 1.32.0 saves
(`optimized_model_filepath`); the tests ask it again.
"""

from __future__ import annotations
