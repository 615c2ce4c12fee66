package io.nativenorm;

import java.lang.reflect.InvocationTargetException;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * An arena, which JDK 22 and later have, by reflection, since this is compiled for 17. On an older
 * JDK it is nothing, and a direct buffer stands for its memory.
 */
public record TestArena(AutoCloseable arena) implements AutoCloseable {
  public static final boolean ARE_THERE = Runtime.version().feature() >= 22;

  /** Of a kind such as Shared, Confined, Auto or Global. */
  public static TestArena of(String kind) throws Exception {
    if (!ARE_THERE) {
      return new TestArena(null);
    }
    String factory = kind.equals("Global") ? "global" : "of" + kind;
    return new TestArena((AutoCloseable) type("Arena").getMethod(factory).invoke(null));
  }

  static Class<?> type(String name) throws ClassNotFoundException {
    return Class.forName("java.lang.foreign." + name);
  }

  /** A new segment. */
  Object segment(long bytes) throws Exception {
    return type("Arena").getMethod("allocate", long.class, long.class).invoke(arena, bytes, 64L);
  }

  /** A file's first bytes, which closing the arena takes out of the address space. */
  Object map(Path file, long bytes) throws Exception {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      return FileChannel.class
          .getMethod("map", MapMode.class, long.class, long.class, type("Arena"))
          .invoke(channel, MapMode.READ_WRITE, 0L, bytes, arena);
    }
  }

  /** What a method of a segment gives. */
  static Object ask(Object segment, String method) throws Exception {
    return type("MemorySegment").getMethod(method).invoke(segment);
  }

  static long address(Object segment) throws Exception {
    return (long) ask(segment, "address");
  }

  static Object ofBuffer(Buffer buffer) throws Exception {
    return type("MemorySegment").getMethod("ofBuffer", Buffer.class).invoke(null, buffer);
  }

  public FloatBuffer floats(int count) throws Exception {
    return bytes(count).asFloatBuffer();
  }

  ByteBuffer bytes(int floats) throws Exception {
    ByteBuffer bytes =
        arena == null
            ? ByteBuffer.allocateDirect(floats * Float.BYTES)
            : (ByteBuffer) ask(segment((long) floats * Float.BYTES), "asByteBuffer");
    return bytes.order(ByteOrder.nativeOrder());
  }

  Tensor tensor(long... shape) throws Exception {
    return Tensor.wrap(floats((int) Shapes.size(shape)), shape);
  }

  /** Throws what the arena's own close does. */
  void end() throws Exception {
    try {
      type("Arena").getMethod("close").invoke(arena);
    } catch (InvocationTargetException e) {
      throw (RuntimeException) e.getCause();
    }
  }

  @Override
  public void close() {
    try {
      if (arena != null) {
        arena.close();
      }
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }
}
