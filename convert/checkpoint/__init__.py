"""What a job hands on: raw checkpoints as files spell them, canonical ones as GPT-2 does."""
