package io.nativenorm.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import io.nativenorm.DataType;
import io.nativenorm.TestEngines;
import io.nativenorm.engine.fused.FusedEngine;
import io.nativenorm.engine.memory.Longs;
import io.nativenorm.engine.memory.Memory;
import io.nativenorm.engine.memory.MemoryPool;
import io.nativenorm.engine.memory.PooledMemory;
import io.nativenorm.engine.reference.ReferenceEngine;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Whoever does it, it is the same; conversions are {@code SixteenBitsTest}'s. */
class MemoryWorkTest {
  static List<MemoryWork> engines() {
    MemoryWork java = new ReferenceEngine();
    return TestEngines.hasFused() ? List.of(java, new FusedEngine()) : List.of(java);
  }

  @Test
  void theFastestIsFused() {
    assertSame(
        TestEngines.hasFused() ? FusedEngine.class : ReferenceEngine.class,
        Engines.memoryWork().getClass());
  }

  /** Numbers that every type has: up to 256. */
  private static void set(Memory memory, long index, long value) {
    if (memory.type() == DataType.I64) {
      Longs.put(memory, index, value << 32 | value);
    } else {
      memory.view().put(index, value);
    }
  }

  private static double get(Memory memory, long index) {
    return memory.type() == DataType.I64
        ? Longs.get(memory, index) / (double) (1L << 32 | 1)
        : memory.view().get(index);
  }

  @ParameterizedTest
  @MethodSource("engines")
  void everyElementGoesToItsPlace(MemoryWork work) {
    long[][] shapes = {{1, 1, 1}, {3, 1, 9}, {2, 9, 1}, {2, 3, 70}, {2, 70, 3}, {3, 33, 65}};
    for (DataType type : List.of(DataType.F32, DataType.BF16, DataType.F16, DataType.I64)) {
      for (long[] shape : shapes) {
        long rows = shape[1];
        long columns = shape[2];
        long size = shape[0] * rows * columns;
        try (PooledMemory source = MemoryPool.take(type, size);
            PooledMemory target = MemoryPool.take(type, size)) {
          Memory from = source.first(type, size);
          Memory to = target.first(type, size);
          for (long i = 0; i < size; i++) {
            set(from, i, i % 251);
            set(to, i, 255);
          }
          work.transpose(from, to, shape[0], rows, columns, 2);
          for (long i = 0; i < size; i++) {
            long sample = i / (rows * columns);
            long row = i / columns % rows;
            long at = (sample * columns + i % columns) * rows + row;
            assertEquals(i % 251, get(to, at), type + " " + rows + " x " + columns + " at " + i);
          }
        }
      }
    }
  }
}
