"""What a job has to say, as plain objects, and the forms that it can be given."""
