"""Many recipes under many protocols, compared."""
