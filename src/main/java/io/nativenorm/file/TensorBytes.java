package io.nativenorm.file;

import io.nativenorm.DataType;
import io.nativenorm.Tensor;
import io.nativenorm.engine.NativeAccess;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import org.bytedeco.javacpp.BytePointer;

/** A tensor's elements to and from channels, in memory order and the machine's byte order. */
public final class TensorBytes {
  /** Bytes in a window on a tensor's memory: a buffer has at most 2^31 - 1. */
  private static final int WINDOW = 1 << 30;

  private TensorBytes() {}

  /** What is done with a window. */
  private interface Visitor {
    void visit(ByteBuffer window) throws IOException;
  }

  /**
   * Fills a tensor from bytes in an order.
   *
   * @param tensor of floats, of 32 or 16 bits
   * @param order the bytes'
   * @param in where they come from
   * @throws IOException if they cannot be read, an EOFException if there are too few
   */
  public static void read(Tensor tensor, ByteOrder order, ReadableByteChannel in)
      throws IOException {
    boolean swapped = order != ByteOrder.nativeOrder();
    visit(
        tensor,
        true,
        window -> {
          readFully(window, in);
          if (swapped) {
            swap(window.flip(), tensor.dataType().bytes());
          }
        });
  }

  private static void swap(ByteBuffer bytes, int width) {
    for (int i = 0; i < bytes.limit(); i += width) {
      if (width == Short.BYTES) {
        bytes.putShort(i, Short.reverseBytes(bytes.getShort(i)));
      } else {
        bytes.putInt(i, Integer.reverseBytes(bytes.getInt(i)));
      }
    }
  }

  /**
   * Writes a tensor's bytes.
   *
   * @param tensor which stays open meanwhile
   * @param out where they go
   * @throws IOException if they cannot be written
   */
  public static void write(Tensor tensor, WritableByteChannel out) throws IOException {
    visit(tensor, false, window -> writeFully(window, out));
  }

  /**
   * Reads until a buffer is full.
   *
   * @param bytes where they go
   * @param in where they come from
   * @throws IOException if they cannot be read, an EOFException if there are too few
   */
  public static void readFully(ByteBuffer bytes, ReadableByteChannel in) throws IOException {
    if (!fill(bytes, in)) {
      throw new EOFException();
    }
  }

  /**
   * Reads until a buffer is full, or there is no more.
   *
   * @param bytes where they go
   * @param in where they come from
   * @return whether it is full
   * @throws IOException if they cannot be read
   */
  public static boolean fill(ByteBuffer bytes, ReadableByteChannel in) throws IOException {
    while (bytes.hasRemaining()) {
      if (in.read(bytes) < 0) {
        return false;
      }
    }
    return true;
  }

  /**
   * Writes until a buffer is empty.
   *
   * @param bytes what is written
   * @param out where they go
   * @throws IOException if they cannot be written
   */
  public static void writeFully(ByteBuffer bytes, WritableByteChannel out) throws IOException {
    while (bytes.hasRemaining()) {
      out.write(bytes);
    }
  }

  private static void visit(Tensor tensor, boolean changes, Visitor visitor) throws IOException {
    if (tensor.size() == 0) {
      return;
    }
    if (NativeAccess.missing().isPresent()) {
      visitCopy(tensor, changes, visitor);
      return;
    }
    long bytes = tensor.size() * tensor.dataType().bytes();
    BytePointer memory = new BytePointer(tensor.pointer()).capacity(bytes);
    for (long at = 0; at < bytes; at += WINDOW) {
      BytePointer part = new BytePointer(memory.<BytePointer>getPointer(at));
      visitor.visit(part.limit(Math.min(WINDOW, bytes - at)).asByteBuffer());
    }
  }

  /** Where there are no pointers. */
  private static void visitCopy(Tensor tensor, boolean changes, Visitor visitor)
      throws IOException {
    long size = tensor.size() * tensor.dataType().bytes();
    ByteBuffer bytes = ByteBuffer.allocateDirect(Math.toIntExact(size));
    bytes.order(ByteOrder.nativeOrder());
    try (Tensor copy =
        Tensor.wrap(
            bytes.duplicate().order(bytes.order()),
            tensor.dataType(),
            tensor.layout(),
            tensor.shape())) {
      if (tensor.dataType() == DataType.I64) {
        putLongs(tensor, bytes); // floats do not hold them
      } else {
        copy.copyFrom(tensor.toArray());
      }
      visitor.visit(bytes);
      if (changes) {
        tensor.copyFrom(copy.toArray());
      }
    }
  }

  private static void putLongs(Tensor tensor, ByteBuffer bytes) {
    try (Tensor row = tensor.reshape(tensor.size())) {
      for (int i = 0; i < row.size(); i++) {
        bytes.putLong(i * Long.BYTES, row.getLong(i));
      }
    }
  }
}
