"""Public: the contract suite of adapters, for plugins that bring one."""

from pacs_ai.testing.adapter_contract import InferenceAdapterContract, MemoryInputs, MemoryResults

__all__ = ["InferenceAdapterContract", "MemoryInputs", "MemoryResults"]
