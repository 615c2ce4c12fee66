package io.nativenorm.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.BufferPool.Buffer;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the pool keeps, and what it frees first. */
class IdleBuffersTest {
  private static final long BOUND = 1 << 20;

  private final IdleBuffers idle = new IdleBuffers(BOUND);
  private final List<Buffer> made = new ArrayList<>();

  private Buffer buffer(long floats) {
    Buffer buffer = new Buffer(idle.capacity(floats));
    made.add(buffer);
    return buffer;
  }

  @AfterEach
  void free() {
    made.forEach(Buffer::free);
  }

  @Test
  void whatWasUsedLastIsTakenFirst() {
    Buffer first = buffer(3000);
    Buffer second = buffer(2990);
    idle.put(first);
    idle.put(second);
    assertNull(idle.take(9000));
    assertSame(second, idle.take(3000));
    assertSame(first, idle.take(3000));
    assertNull(idle.take(3000));
    assertEquals(0, idle.bytes());
  }

  @Test
  void whatLiesLongestGoesFirstWhateverItsSize() {
    Buffer large = buffer(100_000);
    Buffer small = buffer(10);
    Buffer medium = buffer(5000);
    List.of(large, small, medium).forEach(idle::put);
    idle.put(idle.take(100_000)); // used again
    assertEquals(large.bytes() + small.bytes() + medium.bytes(), idle.bytes());
    assertSame(small, idle.removeAbove(large.bytes()));
    assertSame(medium, idle.removeAbove(large.bytes()));
    assertNull(idle.removeAbove(large.bytes()));
    assertSame(large, idle.removeAbove(0));
  }

  @Test
  void aBufferIsThereOnceHoweverOftenItIsPut() {
    Buffer buffer = buffer(10);
    assertEquals(buffer.bytes(), idle.put(buffer));
    assertEquals(buffer.bytes(), idle.put(buffer));
    assertSame(buffer, idle.take(10));
    assertNull(idle.take(10));
  }

  @Test
  void whatNobodyHasTakenForSomeTimeIsOld() {
    Buffer unused = buffer(100_000);
    Buffer used = buffer(5000);
    idle.put(unused);
    idle.put(used);
    for (int second = 0; second < IdleBuffers.AGES; second++) {
      assertNull(idle.removeOldAbove(0), "after " + second);
      assertSame(used, idle.take(5000));
      idle.put(used);
      idle.age();
    }
    assertNull(idle.removeOldAbove(unused.bytes() + used.bytes()));
    assertSame(unused, idle.removeOldAbove(0));
    assertNull(idle.removeOldAbove(0));
    for (int second = 0; second < IdleBuffers.AGES; second++) {
      idle.age();
    }
    assertSame(used, idle.removeOldAbove(0));
  }

  @Test
  void aBufferIsAtMostAnEighthLargerThanAskedFor() {
    for (long floats = 1024; idle.keeps(floats); floats += 1 + floats / 20) {
      for (long asked = floats - 1; asked <= floats + 1; asked++) {
        long capacity = idle.capacity(asked);
        assertTrue(
            capacity >= asked && capacity <= asked + asked / 8 + 128, asked + " " + capacity);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {(BOUND - 64) / 4 + 1, BOUND, 1L << 40, Long.MAX_VALUE / 4})
  void whatIsLargerThanTheBoundIsNeitherRoundedNorKept(long floats) {
    assertFalse(idle.keeps(floats));
    assertEquals(floats, idle.capacity(floats));
    assertNull(idle.take(floats));
  }

  @Test
  void aBoundOfNothingKeepsNothing() {
    IdleBuffers none = new IdleBuffers(0);
    assertFalse(none.keeps(0));
    assertEquals(7, none.capacity(7));
  }

  @Test
  void thePoolGivesBackWhatItIsAskedFor() {
    NativeFloats first;
    try (Buffer buffer = BufferPool.take(5000)) {
      first = buffer.floats();
    }
    try (Buffer again = BufferPool.take(5000)) {
      assertSame(first, again.floats());
    }
    assertTrue(BufferPool.keptBytes() > 0);
    assertEquals(0, BufferPool.giveBack(0));
    assertTrue(BufferPool.giveBack(Long.MAX_VALUE) > 0);
    assertEquals(0, BufferPool.keptBytes());
    try (Buffer fresh = BufferPool.take(5000)) {
      assertNotSame(first, fresh.floats());
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
