package io.nativenorm.cli;

import io.nativenorm.DataType;
import io.nativenorm.Layout;
import io.nativenorm.Tensor;
import io.nativenorm.file.TensorBytes;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.channels.ReadableByteChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * An array to be read from a file, a pipe or standard input: its header at once, its elements when
 * they are asked for. Messages name where it comes from.
 */
final class NpyInput implements AutoCloseable {
  private final String name;
  private final ReadableByteChannel channel;
  private NpyHeader header;

  /** The elements in the file itself, which this keeps in memory until it is closed. */
  private ByteBuffer mapped;

  private NpyInput(String name, ReadableByteChannel channel) {
    this.name = name;
    this.channel = channel;
  }

  /** Opens a file, or what lies under its name in a file system. */
  static NpyInput open(Path path) throws UnusableInputException {
    if (Files.isDirectory(path)) {
      throw new UnusableInputException(path + " is a directory, not an .npy file");
    }
    try {
      return open(path.toString(), FileChannel.open(path, StandardOpenOption.READ));
    } catch (NoSuchFileException e) {
      throw new UnusableInputException(path + " does not exist");
    } catch (IOException e) {
      throw new UnusableInputException(path.toString(), "cannot be read", e);
    }
  }

  /** Begins to read a stream. */
  static NpyInput open(String name, InputStream in) throws UnusableInputException {
    return open(name, Channels.newChannel(in));
  }

  private static NpyInput open(String name, ReadableByteChannel channel)
      throws UnusableInputException {
    NpyInput input = new NpyInput(name, channel);
    boolean opened = false;
    try {
      input.header = NpyHeader.read(name, channel);
      opened = true;
      return input;
    } catch (IOException e) {
      throw input.unreadable(e);
    } finally {
      if (!opened) {
        input.close();
      }
    }
  }

  private UnusableInputException unreadable(IOException e) {
    return e instanceof EOFException
        ? new UnusableInputException(name + " ends too early")
        : new UnusableInputException(name, "cannot be read", e);
  }

  /** The array's extents. */
  long[] shape() {
    return header.shape().clone();
  }

  /** Whether the elements that were asked for are in the file itself, and so not to be written. */
  boolean isMapped() {
    return mapped != null;
  }

  /** The elements as floats of 32 bits, channels first, in memory of their own. */
  Tensor floats() throws UnusableInputException {
    try (Tensor tensor = tensor(false, Layout.CHANNELS_FIRST, header.shape())) {
      return tensor.to(DataType.F32);
    }
  }

  /**
   * The elements, once.
   *
   * @param mayMap whether the tensor may lie on the file itself, for reading, until this is closed
   * @param layout what the order in the file is
   * @param shape the logical extents in that layout
   */
  Tensor tensor(boolean mayMap, Layout layout, long... shape) throws UnusableInputException {
    long bytes = header.bytes(name);
    try {
      long left = sizeLeft();
      if (left >= 0) { // before memory is taken for a wrong header
        requireSize(left, bytes);
      }
      if (mayMap && isMappable(left)) {
        return map((FileChannel) channel, bytes, layout, shape);
      }
      Tensor tensor = Tensor.allocate(header.type(), layout, shape);
      boolean done = false;
      try {
        TensorBytes.read(tensor, header.order(), channel);
        requireEnd();
        done = true;
        return tensor;
      } finally {
        if (!done) {
          tensor.close();
        }
      }
    } catch (IOException e) {
      throw unreadable(e);
    }
  }

  /** Bytes after the header; -1 of a stream, whose size the system gives as 0. */
  private long sizeLeft() throws IOException {
    return channel instanceof FileChannel file && file.size() > 0
        ? file.size() - file.position()
        : -1;
  }

  private void requireSize(long left, long bytes) throws IOException, UnusableInputException {
    if (left < bytes) {
      throw new EOFException();
    }
    if (left > bytes) {
      throw tooMuch();
    }
  }

  private void requireEnd() throws IOException, UnusableInputException {
    if (channel.read(ByteBuffer.allocate(1)) >= 0) {
      throw tooMuch();
    }
  }

  private UnusableInputException tooMuch() {
    return new UnusableInputException(name + " has data after its array");
  }

  private boolean isMappable(long left) throws IOException {
    return left > 0
        && left <= Integer.MAX_VALUE
        && ((FileChannel) channel).position() % header.type().bytes() == 0
        && header.order() == ByteOrder.nativeOrder();
  }

  private Tensor map(FileChannel file, long bytes, Layout layout, long[] shape) throws IOException {
    mapped = file.map(MapMode.READ_ONLY, file.position(), bytes).order(ByteOrder.nativeOrder());
    return Tensor.wrap(mapped, header.type(), layout, shape);
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      // All that was wanted has been read.
    }
    mapped = null;
  }
}
