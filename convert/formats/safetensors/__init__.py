"""safetensors files, whole or in shards."""
