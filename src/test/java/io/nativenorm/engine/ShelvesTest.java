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

/** What the pool keeps, and what it lets go first. */
class ShelvesTest {
  private static final long BOUND = 1 << 20;

  private final Shelves shelves = new Shelves(BOUND);
  private final List<Buffer> made = new ArrayList<>();

  private Buffer buffer(long floats) {
    Buffer buffer = new Buffer(shelves.capacity(floats));
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
    shelves.put(first);
    shelves.put(second);
    assertNull(shelves.take(9000));
    assertSame(second, shelves.take(3000));
    assertSame(first, shelves.take(3000));
    assertNull(shelves.take(3000));
    assertEquals(0, shelves.bytes());
  }

  @Test
  void whatLiesLongestGoesFirstWhateverItsSize() {
    Buffer large = buffer(100_000);
    Buffer small = buffer(10);
    Buffer medium = buffer(5000);
    List.of(large, small, medium).forEach(shelves::put);
    shelves.put(shelves.take(100_000)); // used again
    assertEquals(large.bytes() + small.bytes() + medium.bytes(), shelves.bytes());
    assertSame(small, shelves.removeAbove(large.bytes()));
    assertSame(medium, shelves.removeAbove(large.bytes()));
    assertNull(shelves.removeAbove(large.bytes()));
    assertSame(large, shelves.removeAbove(0));
  }

  @Test
  void aBufferIsThereOnceHoweverOftenItIsPut() {
    Buffer buffer = buffer(10);
    assertEquals(buffer.bytes(), shelves.put(buffer));
    assertEquals(buffer.bytes(), shelves.put(buffer));
    assertSame(buffer, shelves.take(10));
    assertNull(shelves.take(10));
  }

  @Test
  void whatNobodyHasTakenForSomeTimeIsOld() {
    Buffer idle = buffer(100_000);
    Buffer used = buffer(5000);
    shelves.put(idle);
    shelves.put(used);
    for (int second = 0; second < Shelves.AGES; second++) {
      assertNull(shelves.removeOldAbove(0), "after " + second);
      assertSame(used, shelves.take(5000));
      shelves.put(used);
      shelves.age();
    }
    assertNull(shelves.removeOldAbove(idle.bytes() + used.bytes()));
    assertSame(idle, shelves.removeOldAbove(0));
    assertNull(shelves.removeOldAbove(0));
    for (int second = 0; second < Shelves.AGES; second++) {
      shelves.age();
    }
    assertSame(used, shelves.removeOldAbove(0));
  }

  @Test
  void aBufferIsAtMostAnEighthLargerThanAskedFor() {
    for (long floats = 1024; shelves.keeps(floats); floats += 1 + floats / 20) {
      for (long asked = floats - 1; asked <= floats + 1; asked++) {
        long capacity = shelves.capacity(asked);
        assertTrue(
            capacity >= asked && capacity <= asked + asked / 8 + 128, asked + " " + capacity);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {(BOUND - 64) / 4 + 1, BOUND, 1L << 40, Long.MAX_VALUE / 4})
  void whatIsLargerThanTheBoundIsNeitherRoundedNorKept(long floats) {
    assertFalse(shelves.keeps(floats));
    assertEquals(floats, shelves.capacity(floats));
    assertNull(shelves.take(floats));
  }

  @Test
  void aBoundOfNothingKeepsNothing() {
    Shelves none = new Shelves(0);
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
