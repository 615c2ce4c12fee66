package io.nativenorm.cli;

import io.nativenorm.Tensor;
import io.nativenorm.engine.NativeAccess;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import org.bytedeco.javacpp.FloatPointer;

/** A tensor's elements to and from channels, in memory order and the machine's byte order. */
final class TensorBytes {
  /** Floats in a window on a tensor's memory: a buffer has at most 2^31 - 1 bytes. */
  private static final int WINDOW = 1 << 28;

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
            swap(window.flip());
          }
        });
  }

  private static void swap(ByteBuffer bytes) {
    for (int i = 0; i < bytes.limit(); i += Integer.BYTES) {
      bytes.putInt(i, Integer.reverseBytes(bytes.getInt(i)));
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
    FloatPointer memory = new FloatPointer(tensor.pointer());
    for (long at = 0; at < tensor.size(); at += WINDOW) {
      long count = Math.min(WINDOW, tensor.size() - at);
      FloatPointer part = new FloatPointer(memory.<FloatPointer>getPointer(at));
      visitor.visit(part.limit(count).asByteBuffer());
    }
  }

  /** Where there are no pointers. */
  private static void visitCopy(Tensor tensor, boolean changes, Visitor visitor)
      throws IOException {
    float[] values = tensor.toArray();
    ByteBuffer bytes = ByteBuffer.allocate(Math.multiplyExact(values.length, Float.BYTES));
    FloatBuffer floats = bytes.order(ByteOrder.nativeOrder()).asFloatBuffer();
    floats.put(values);
    visitor.visit(bytes);
    if (changes) {
      floats.rewind().get(values);
      tensor.copyFrom(values);
    }
  }
}
