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
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Whoever does it, it is the same; conversions are {@code SixteenBitsTest}'s. */
class MemoryWorkTest {
  private static final double[] SHARES = {0, 0.1, 1.0 / 3, 1};

  static List<MemoryWork> engines() {
    MemoryWork java = new ReferenceEngine();
    return TestEngines.hasFused() ? List.of(java, new FusedEngine()) : List.of(java);
  }

  @Test
  void theFastestIsFused() {
    assertSame(
        TestEngines.hasFused() ? FusedEngine.class : ReferenceEngine.class,
        ((HoldingWork) Engines.memoryWork()).work().getClass());
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

  /** In sections, with all bits, those of a NaN that would be quiet too; no more than there is. */
  @ParameterizedTest
  @MethodSource("engines")
  void arraysAreCopiedInAndOut(MemoryWork work) {
    for (int size : new int[] {0, 1, 1000, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 700_001}) {
      float[] values = new float[size];
      for (int i = 0; i < size; i++) {
        values[i] = Float.intBitsToFloat(i % 7 == 0 ? 0x7F800001 + i : i * 31);
      }
      float[] back = new float[size];
      try (PooledMemory block = MemoryPool.take(DataType.F32, size + 1)) {
        Memory memory = block.first(DataType.F32, size + 1);
        memory.view().put(size, 5);
        work.copyIn(values, memory, 2);
        work.copyOut(memory, back, 2);
        assertEquals(5, memory.view().get(size), "behind " + size);
      }
      for (int i = 0; i < size; i++) {
        int bits = Float.floatToRawIntBits(values[i]);
        assertEquals(bits, Float.floatToRawIntBits(back[i]), size + " at " + i);
      }
    }
  }

  /** The sums of many samples too, and what overflows. */
  @ParameterizedTest
  @MethodSource("engines")
  void runningStatisticsAreTakenInDoublesAndRoundedOnce(MemoryWork work) {
    Random random = new Random(1);
    for (int channels : new int[] {1, 3, 256, 1027}) {
      for (int samples : new int[] {1, 2, 5}) {
        for (double share : SHARES) {
          try (PooledMemory old = MemoryPool.take(DataType.F32, channels);
              PooledMemory news = MemoryPool.take(DataType.F32, (long) samples * channels)) {
            Memory running = old.first(DataType.F32, channels);
            Memory batch = news.first(DataType.F32, (long) samples * channels);
            float[] was = floats(random, channels);
            float[] values = floats(random, samples * channels);
            running.write(0, was, 0, channels);
            batch.write(0, values, 0, values.length);
            work.updateRunning(running, batch, share, 1.25);
            for (int c = 0; c < channels; c++) {
              double sum = 0;
              for (int n = 0; n < samples; n++) {
                sum += values[n * channels + c];
              }
              float expected = (float) ((1 - share) * was[c] + share * 1.25 * (sum / samples));
              assertEquals(expected, running.view().get(c), samples + " x " + channels);
            }
          }
        }
      }
    }
  }

  private static float[] floats(Random random, int count) {
    float[] floats = new float[count];
    for (int i = 0; i < count; i++) {
      floats[i] = i % 97 == 5 ? -0f : (float) (random.nextGaussian() * Math.pow(10, i % 77 - 38));
    }
    return floats;
  }
}
