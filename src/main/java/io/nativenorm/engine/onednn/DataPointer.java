package io.nativenorm.engine.onednn;

import io.nativenorm.engine.memory.Memory;
import org.bytedeco.javacpp.Pointer;

/** Where an argument's data is: at another address from call to call, so it is made once. */
final class DataPointer extends Pointer {
  DataPointer() {
    super((Pointer) null);
  }

  /** The memory, which the caller keeps; null for none. */
  DataPointer to(Memory memory) {
    address = memory == null ? 0 : memory.address();
    return this;
  }
}
