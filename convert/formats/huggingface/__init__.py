"""Hugging Face model folders: safetensors files with a config.json."""
