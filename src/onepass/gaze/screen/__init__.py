"""Where on a screen a person looks: recorded, learned, told."""
