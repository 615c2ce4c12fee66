package io.nativenorm.cli;

import io.nativenorm.Tensor;
import io.nativenorm.engine.NativeAccess;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import org.bytedeco.javacpp.BytePointer;

/** A tensor's elements to and from channels, in memory order and the machine's byte order. */
final class TensorBytes {
  /** Bytes in a window on a tensor's memory: a buffer has at most 2^31 - 1. */
  private static final int WINDOW = 1 << 30;

  private TensorBytes() {}

  /** What is done with a window. */
  private interface Visitor {
    void visit(ByteBuffer window) throws IOException;
  }

  /** Fills a tensor from bytes in an order. */
  static void read(Tensor tensor, ByteOrder order, ReadableByteChannel in) throws IOException {
    boolean swapped = order != ByteOrder.nativeOrder();
    visit(
        tensor,
        true,
        window -> {
          NpyHeader.readFully(window, in);
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

  /** Writes a tensor's bytes. */
  static void write(Tensor tensor, WritableByteChannel out) throws IOException {
    visit(tensor, false, window -> writeFully(window, out));
  }

  /** Writes until a buffer is empty. */
  static void writeFully(ByteBuffer bytes, WritableByteChannel out) throws IOException {
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
      copy.copyFrom(tensor.toArray());
      visitor.visit(bytes);
      if (changes) {
        tensor.copyFrom(copy.toArray());
      }
    }
  }
}
