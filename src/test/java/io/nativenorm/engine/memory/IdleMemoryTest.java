package io.nativenorm.engine.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.DataType;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the pool keeps, and what it frees first. */
class IdleMemoryTest {
  private static final long BOUND = 1 << 20;

  private final IdleMemory idle = new IdleMemory(BOUND);
  private final List<PooledMemory> made = new ArrayList<>();

  private PooledMemory memory(long bytes) {
    PooledMemory memory = new PooledMemory(idle.capacity(bytes));
    made.add(memory);
    return memory;
  }

  @AfterEach
  void free() {
    made.forEach(PooledMemory::free);
  }

  @Test
  void whatWasUsedLastIsTakenFirst() {
    PooledMemory first = memory(12_000);
    PooledMemory second = memory(11_960);
    idle.put(first);
    idle.put(second);
    assertNull(idle.take(36_000));
    assertSame(second, idle.take(12_000));
    assertSame(first, idle.take(12_000));
    assertNull(idle.take(12_000));
    assertEquals(0, idle.bytes());
  }

  @Test
  void whatLiesLongestGoesFirstWhateverItsSize() {
    PooledMemory large = memory(400_000);
    PooledMemory small = memory(40);
    PooledMemory medium = memory(20_000);
    List.of(large, small, medium).forEach(idle::put);
    idle.put(idle.take(400_000)); // used again
    assertEquals(large.bytes() + small.bytes() + medium.bytes(), idle.bytes());
    assertSame(small, idle.removeAbove(large.bytes()));
    assertSame(medium, idle.removeAbove(large.bytes()));
    assertNull(idle.removeAbove(large.bytes()));
    assertSame(large, idle.removeAbove(0));
  }

  @Test
  void memoryIsThereOnceHoweverOftenItIsPut() {
    PooledMemory pooled = memory(40);
    assertEquals(pooled.bytes(), idle.put(pooled));
    assertEquals(pooled.bytes(), idle.put(pooled));
    assertSame(pooled, idle.take(40));
    assertNull(idle.take(40));
  }

  @Test
  void whatNobodyHasTakenForSomeTimeIsOld() {
    PooledMemory unused = memory(400_000);
    PooledMemory used = memory(20_000);
    idle.put(unused);
    idle.put(used);
    for (int second = 0; second < IdleMemory.AGES; second++) {
      assertNull(idle.removeOldAbove(0), "after " + second);
      assertSame(used, idle.take(20_000));
      idle.put(used);
      idle.age();
    }
    assertNull(idle.removeOldAbove(unused.bytes() + used.bytes()));
    assertSame(unused, idle.removeOldAbove(0));
    assertNull(idle.removeOldAbove(0));
    for (int second = 0; second < IdleMemory.AGES; second++) {
      idle.age();
    }
    assertSame(used, idle.removeOldAbove(0));
  }

  @Test
  void itIsAtMostAnEighthLargerThanAskedFor() {
    for (long bytes = 4096; idle.keeps(bytes); bytes += 1 + bytes / 20) {
      for (long asked = bytes - 1; asked <= bytes + 1; asked++) {
        long capacity = idle.capacity(asked);
        assertTrue(
            capacity >= asked && capacity <= asked + asked / 8 + 512, asked + " " + capacity);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {BOUND - 63, BOUND, 1L << 40, Long.MAX_VALUE / 4})
  void whatIsLargerThanTheBoundIsNeitherRoundedNorKept(long bytes) {
    assertFalse(idle.keeps(bytes));
    assertEquals(bytes, idle.capacity(bytes));
    assertNull(idle.take(bytes));
  }

  @Test
  void aBoundOfNothingKeepsNothing() {
    IdleMemory none = new IdleMemory(0);
    assertFalse(none.keeps(0));
    assertEquals(7, none.capacity(7));
  }

  @Test
  void thePoolGivesBackWhatItIsAskedFor() {
    Memory first;
    try (PooledMemory pooled = MemoryPool.take(DataType.F32, 5000)) {
      first = pooled.memory();
    }
    try (PooledMemory again = MemoryPool.take(DataType.F32, 5000)) {
      assertSame(first, again.memory());
    }
    assertTrue(MemoryPool.keptBytes() > 0);
    assertEquals(0, MemoryPool.giveBack(0));
    assertTrue(MemoryPool.giveBack(Long.MAX_VALUE) > 0);
    assertEquals(0, MemoryPool.keptBytes());
    try (PooledMemory fresh = MemoryPool.take(DataType.F32, 5000)) {
      assertNotSame(first, fresh.memory());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "4097, 4097",
    "3k, 3072",
    "' 64M ', 67108864",
    "2g, 2147483648",
    "999999999999999g, 9223372036854775807"
  })
  void aBoundIsANumberOfBytes(String text, long bytes) {
    assertEquals(bytes, PoolBound.parse(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "m", "-1", "1.5g", "10%", "12 m", "1t", "9999999999999999"})
  void orAnError(String text) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> PoolBound.parse(text)).getMessage();
    assertEquals(
        "nativenorm.pool expects a number of bytes, such as 512m, or 0, but got " + text, message);
  }
}
