"""Files of a model for other programs: hugging_face.py for transformers and MLX, gguf_file.py for llama.cpp."""
