"""Stores of texts for frameworks: `codeword.stores.langchain`, `codeword.stores.llamaindex`; each needs its framework."""
