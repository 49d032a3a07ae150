"""What a GPT-2 is: its names and shapes as data, and how a raw checkpoint becomes one."""
