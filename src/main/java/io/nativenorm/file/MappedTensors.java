package io.nativenorm.file;

import io.nativenorm.file.SafetensorsHeader.Entry;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.util.ArrayList;
import java.util.List;

/** The elements of a file's tensors, in memory that is only read. */
public final class MappedTensors {
  /**
   * The most bytes that are mapped at once, but for a tensor that has more. A mapping each would be
   * too many: Linux gives a process 65530.
   */
  private static final long WINDOW = 1 << 30;

  /** The largest tensor: a buffer has no more, with room to move a copy to where it is aligned. */
  public static final long LARGEST = Integer.MAX_VALUE - Long.BYTES;

  private MappedTensors() {}

  /**
   * Maps tensors. A mapping stays until none of its tensors is reachable.
   *
   * @param channel the file, which may be closed afterwards
   * @param entries its tensors, or some of them, in their order, of known types, none above {@link
   *     #LARGEST}
   * @return a buffer for each, read-only, in the machine's byte order: the file itself where that
   *     has the tensor at a multiple of its element's size, else a copy
   * @throws IOException if the file cannot be mapped, or a copy does not fit into memory
   */
  public static List<ByteBuffer> map(FileChannel channel, List<Entry> entries) throws IOException {
    List<ByteBuffer> parts = new ArrayList<>();
    for (int i = 0; i < entries.size(); ) {
      long begin = entries.get(i).begin();
      int next = i + 1;
      while (next < entries.size() && entries.get(next).end() - begin <= WINDOW) {
        next++;
      }
      ByteBuffer mapped =
          channel.map(MapMode.READ_ONLY, begin, entries.get(next - 1).end() - begin);
      for (; i < next; i++) {
        Entry entry = entries.get(i);
        ByteBuffer part = mapped.slice((int) (entry.begin() - begin), (int) entry.bytes());
        parts.add(aligned(part, entry).order(ByteOrder.nativeOrder()));
      }
    }
    return parts;
  }

  private static ByteBuffer aligned(ByteBuffer part, Entry entry) throws IOException {
    int alignment = entry.dataType().bytes();
    if (part.alignmentOffset(0, alignment) == 0) {
      return part;
    }
    try {
      ByteBuffer room = ByteBuffer.allocateDirect(part.capacity() + alignment);
      ByteBuffer copy = room.alignedSlice(alignment).slice(0, part.capacity());
      return copy.put(0, part, 0, part.capacity()).asReadOnlyBuffer();
    } catch (OutOfMemoryError e) {
      throw new IOException(
          "the tensor " + entry + " is not aligned, and its copy does not fit into memory", e);
    }
  }
}
