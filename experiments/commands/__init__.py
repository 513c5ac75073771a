"""The command line: one module a command.  Only here are arguments read and results printed."""
