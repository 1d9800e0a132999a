"""The command line as a contract, in process and as child processes."""
