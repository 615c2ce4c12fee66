package io.nativenorm.libraries;

/** Tensors of ONNX Runtime's on memory of ours, and the other way round. */
class OnnxRuntimeTest extends LibraryTest {}
