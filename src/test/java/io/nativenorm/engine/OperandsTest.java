package io.nativenorm.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.DataType;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import org.junit.jupiter.api.Test;

/** Each slot by itself. */
class OperandsTest {
  @Test
  void aChangeIsOfOneSlotAndInOtherOperands() {
    try (PooledMemory pooled = MemoryPool.take(DataType.F32, 20)) {
      Operands.Builder builder = Operands.builder();
      for (Slot slot : Slot.values()) {
        builder.put(slot, at(pooled, slot.ordinal()));
      }
      Operands all = builder.build();
      for (Slot changed : Slot.values()) {
        Memory memory = at(pooled, 10 + changed.ordinal());
        Operands other = all.with(changed, memory);
        for (Slot slot : Slot.values()) {
          long expected = pooled.memory().address() + 4L * slot.ordinal();
          assertEquals(expected, all.address(slot));
          assertEquals(slot == changed ? expected + 40 : expected, other.address(slot));
        }
        assertSame(memory, other.get(changed));
        assertSame(memory.view(), other.view(changed));
        requireNone(other.with(changed, null), changed);
        assertTrue(all.has(changed));
        requireNone(Operands.NONE, changed);
      }
    }
  }

  private static Memory at(PooledMemory pooled, long index) {
    return pooled.memory().slice(index, 1);
  }

  private static void requireNone(Operands operands, Slot slot) {
    assertFalse(operands.has(slot));
    assertNull(operands.get(slot));
    assertNull(operands.view(slot));
    assertEquals(0, operands.address(slot));
  }
}
