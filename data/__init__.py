"""From raw files to corpora: collect, clean, deduplicate, mix, and keep the passport of it all."""
