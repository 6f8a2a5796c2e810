"""What samples a model: transformers, vLLM, or servers that speak OpenAI's protocol."""
