package io.nativenorm.engine.memory;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** The pool had no block. */
@Name("io.nativenorm.MemoryAllocated")
@Label("Memory Allocated")
@Description("The pool had no block of the size, and took one from the system")
@Category("NativeNorm")
final class MemoryAllocated extends Event {
  @Label("Bytes")
  @DataAmount
  long bytes;

  @Label("Kept")
  @Description("What the pool keeps idle, in blocks of other sizes")
  @DataAmount
  long kept;

  @Label("Bound")
  @Description("The most it keeps")
  @DataAmount
  long bound;

  /** A new block. */
  static PooledMemory allocate(long bytes, IdleMemory idle) {
    MemoryAllocated event = new MemoryAllocated();
    event.begin();
    PooledMemory block = new PooledMemory(bytes);
    event.end();
    if (event.shouldCommit()) {
      event.bytes = block.bytes();
      event.kept = idle.bytes();
      event.bound = idle.bound();
      event.commit();
    }
    return block;
  }
}
