"""Many recipes under many protocols, side by side."""
