package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Test;

/** Pointers whose length JavaCPP knows are held to it; those it does not know are taken as said. */
class WrapTest {
  private static Tensor wrap(Pointer memory, long... shape) {
    return Tensor.wrap(memory, DataType.F32, Layout.CHANNELS_FIRST, shape);
  }

  private static void refused(String message, Pointer memory, long... shape) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> wrap(memory, shape).close());
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  @Test
  @SuppressWarnings("try") // the scope closes the pointers that are made in it
  void whatIsKnownToEndIsNotExceeded() {
    try (PointerScope pointers = new PointerScope()) {
      FloatPointer eight = new FloatPointer(8);
      refused("room for 0", new FloatPointer(0), 1000);
      refused("room for 0", new BytePointer(0), 1);
      refused("room for 8", eight, 9);
      refused("room for 4", eight.getPointer(4), 5);
      refused("room for 0", eight.getPointer(8), 1);
      refused("room for 0", new FloatPointer(8).limit(0), 1000);
      refused("room for 2", new FloatPointer(8).position(2).limit(4), 3);
      refused("room for 0", new FloatPointer(8).position(8), 1);
      refused("room for 1", new BytePointer(7), 2);
      refused("position 0 and limit 100 of capacity 8", new FloatPointer(8).limit(100), 100);
      refused("position 0 and limit 9 of capacity 8", new FloatPointer(8).limit(9), 8);
      refused("position -4 and limit 8 of capacity 8", new FloatPointer(8).position(-4), 12);
      refused("position -4 and limit 8 of capacity 8", new FloatPointer(8).position(-4), 1);
      refused("position 9 and limit 8 of capacity 8", new FloatPointer(8).position(9), 0);
      refused("position 4 and limit 2 of capacity 8", new FloatPointer(8).limit(2).position(4), 0);
      refused("room for 8", new FloatPointer(8), Long.MAX_VALUE >> 6);
    }
  }

  @Test
  void whatFitsIsTaken() {
    try (FloatPointer eight = new FloatPointer(8)) {
      wrap(eight, 8).close();
      wrap(eight, 2, 3).close();
      wrap(eight, 0).close();
      wrap(eight.getPointer(4), 4).close();
      wrap(eight.position(8), 0).close();
      wrap(eight.position(2).limit(4), 2).close();
    }
  }

  @Test
  void whatIsNotKnownIsTakenAsItIs() {
    Pointer allocated = Pointer.malloc(64);
    try (PointerPointer<FloatPointer> list = new PointerPointer<>(1);
        FloatPointer memory = new FloatPointer(1, 2, 3, 4, 5, 6, 7, 8)) {
      wrap(allocated, 16).close();
      wrap(new FloatPointer(allocated), 16).close();
      refused("room for 4", new FloatPointer(allocated).limit(4), 5); // which someone said
      list.put(0, memory);
      FloatPointer address = list.get(FloatPointer.class, 0);
      assertEquals(0, address.capacity());
      assertEquals(8, wrap(address, 8).toArray()[7]);
      assertEquals(3, wrap(address.position(2), 6).toArray()[0]);
    } finally {
      Pointer.free(allocated);
    }
  }

  @Test
  void longsAreWrappedAsTheyAre() {
    try (LongPointer memory = new LongPointer(1L << 40, -3, 7);
        Tensor longs = Tensor.wrap(memory, DataType.I64, Layout.CHANNELS_FIRST, 3)) {
      assertEquals(1L << 40, longs.getLong(0));
      assertEquals(-3, longs.getLong(1));
      assertEquals(3, longs.pointer().capacity());
      assertEquals(7, ((LongPointer) longs.pointer()).get(2));
    }
  }
}
