"""Hostile input: each file is refused or indexed with little memory and time; the corpus of the fuzzer is replayed."""
