package io.nativenorm.engine.memory;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** The pool gave memory back. */
@Name("io.nativenorm.MemoryFreed")
@Label("Memory Freed")
@Description("The pool gave blocks back to the system")
@Category("NativeNorm")
@StackTrace(false)
final class MemoryFreed extends Event {
  @Label("Bytes")
  @DataAmount
  long bytes;

  @Label("Reason")
  String reason;

  @Label("Kept")
  @Description("What the pool still keeps idle")
  @DataAmount
  long kept;

  static void tell(long bytes, String reason, IdleMemory idle) {
    MemoryFreed event = new MemoryFreed();
    if (event.shouldCommit()) {
      event.bytes = bytes;
      event.reason = reason;
      event.kept = idle.bytes();
      event.commit();
    }
  }
}
