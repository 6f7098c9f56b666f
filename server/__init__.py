"""The server. Importing a room loads that room alone: this file imports nothing."""
