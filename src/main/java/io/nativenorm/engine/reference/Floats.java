package io.nativenorm.engine.reference;

import io.nativenorm.engine.NativeFloats;
import org.bytedeco.javacpp.indexer.FloatIndexer;

/** Element access to native floats. */
final class Floats {
  private Floats() {}

  static FloatIndexer of(NativeFloats floats) {
    return floats == null ? null : FloatIndexer.create(floats);
  }
}
