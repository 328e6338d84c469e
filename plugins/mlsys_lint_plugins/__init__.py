"""mlsys-lint's own plugins: ordinary clients of the public API."""
