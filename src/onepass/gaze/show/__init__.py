"""What is shown of faces: tables and drawings."""
