"""The frameworks that networks come from: one module, or package, each, with ``open_(source, request) -> Trained``."""
