"""Studies: tables of what each part of the system adds, by one command each."""
