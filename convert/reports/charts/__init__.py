"""Pictures as numbers: coordinates and sentences, which a page then draws, one kind a module."""
