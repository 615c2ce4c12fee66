package io.nativenorm.engine.reference;

import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.indexer.FloatIndexer;

/** Element access to native floats. */
final class Floats {
  private Floats() {}

  static FloatIndexer of(Pointer pointer) {
    return pointer == null ? null : FloatIndexer.create((FloatPointer) pointer);
  }
}
