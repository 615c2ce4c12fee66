package io.nativenorm;

import com.google.gson.stream.JsonWriter;
import io.nativenorm.file.MappedTensors;
import io.nativenorm.file.PartialFile;
import io.nativenorm.file.SafetensorsHeader;
import io.nativenorm.file.SafetensorsHeader.Entry;
import io.nativenorm.file.TensorBytes;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;

/**
 * Parameters in files, in the safetensors format of Hugging Face, which PyTorch, JAX and
 * llama.cpp's converters read and write. A layer of a checkpoint is one line:
 *
 * <pre>{@code
 * try (BatchNorm norm = BatchNorm.of(256)) {
 *   norm.load(Weights.read(folder.resolve("resnet50.safetensors"), "layer3.0.bn1."));
 *   Weights.write(folder.resolve("bn1.safetensors"), norm.state());
 * }
 * }</pre>
 *
 * <p>What is read is the file itself, mapped into memory: nothing is copied until it is used, but
 * for tensors that the file does not have at a multiple of their element's size. They are
 * read-only, need not be closed, and keep their part of the mapping, also when the file is replaced
 * or removed meanwhile. It is given back some time after they have become unreachable; on Windows
 * the file can be replaced only then. A file that is cut while it is mapped must not be read any
 * more: the operating system ends the process (SIGBUS).
 */
public final class Weights {
  /**
   * Names of Keras's for PyTorch's: gamma, beta, moving_mean and moving_variance. Of a
   * RMSNormalization scale is its weight.
   */
  public static final Map<String, String> KERAS =
      Map.of(
          "gamma", "weight",
          "scale", "weight",
          "beta", "bias",
          "moving_mean", "running_mean",
          "moving_variance", "running_var");

  /** Names of DL4J's for PyTorch's: gamma, beta, mean and var. */
  public static final Map<String, String> DL4J =
      Map.of("gamma", "weight", "beta", "bias", "mean", "running_mean", "var", "running_var");

  /** Headers are filled up to a multiple of this with spaces, so that all types are aligned. */
  private static final int ALIGNMENT = 8;

  /** As many tensors are named in a message. */
  private static final int NAMED = 3;

  private Weights() {}

  /**
   * The tensors of a file whose names begin with a prefix, under what is left of their names.
   *
   * @param safetensors a file of that format
   * @param prefix such as {@code "layer3.0.bn1."}, with the dot; "" for all
   * @return read-only tensors of F32, F16, BF16, I64, S8 (I8 there) or U8, channels first, in the
   *     order in which they lie in the file; a {@link TensorScope} that is open closes them with it
   * @throws IllegalArgumentException if no name begins with a prefix that is not empty, or a tensor
   *     that does is of another type, or has 2 GB or more
   * @throws IOException if the file cannot be read, or its header, or any tensor's place, is not
   *     what the format asks for: the message says which file, and what is wrong. A header may have
   *     100 MB, as that of the format's own library, and a 32nd of the heap
   */
  public static Map<String, Tensor> read(Path safetensors, String prefix) throws IOException {
    Objects.requireNonNull(safetensors, "safetensors");
    Objects.requireNonNull(prefix, "prefix");
    if (Files.exists(safetensors) && !Files.isRegularFile(safetensors)) {
      throw new FileSystemException(safetensors.toString(), null, "is no regular file");
    }
    List<Entry> chosen;
    List<ByteBuffer> parts;
    try (FileChannel channel = FileChannel.open(safetensors, StandardOpenOption.READ)) {
      requireLittleEndian();
      List<Entry> all = SafetensorsHeader.read(channel);
      chosen = all.stream().filter(entry -> entry.name().startsWith(prefix)).toList();
      requireReadable(safetensors, prefix, all, chosen);
      parts = MappedTensors.map(channel, chosen);
    } catch (FileSystemException e) {
      throw e; // names the file
    } catch (IOException e) {
      throw new IOException(
          safetensors + " cannot be read as a safetensors file: " + e.getMessage(), e);
    }
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (int i = 0; i < parts.size(); i++) {
      Entry entry = chosen.get(i);
      tensors.put(
          entry.name().substring(prefix.length()),
          Tensor.wrap(parts.get(i), entry.dataType(), Layout.CHANNELS_FIRST, entry.shape()));
    }
    return tensors;
  }

  private static void requireLittleEndian() throws IOException {
    if (ByteOrder.nativeOrder() != ByteOrder.LITTLE_ENDIAN) {
      throw new IOException("its numbers are little-endian, this machine's are not");
    }
  }

  private static void requireReadable(
      Path file, String prefix, List<Entry> all, List<Entry> chosen) {
    if (chosen.isEmpty() && !prefix.isEmpty()) {
      throw new IllegalArgumentException(
          file + ": no tensor's name begins with \"" + prefix + "\"; there are " + few(all));
    }
    List<Entry> others = chosen.stream().filter(entry -> entry.dataType() == null).toList();
    if (!others.isEmpty()) {
      throw new IllegalArgumentException(
          file
              + ": F32, F16, BF16, I64, I8 and U8 are read, but there are "
              + few(others)
              + "; a longer prefix may leave them out");
    }
    List<Entry> large =
        chosen.stream().filter(entry -> entry.bytes() > MappedTensors.LARGEST).toList();
    if (!large.isEmpty()) {
      throw new IllegalArgumentException(
          file
              + ": tensors below 2 GB are read, but there are "
              + few(large)
              + "; a longer prefix may leave them out");
    }
  }

  private static String few(List<Entry> entries) {
    String first =
        entries.stream().limit(NAMED).map(Entry::toString).collect(Collectors.joining(", "));
    return entries.size() <= NAMED
        ? entries.isEmpty() ? "none" : first
        : first + " and " + (entries.size() - NAMED) + " more";
  }

  /**
   * Writes tensors into a file, new or in place of another one, which is then there as a whole or,
   * if this throws, as it was. Files mapped by {@link #read} keep what they were. It is laid out as
   * by the format's own library: larger elements first, then by name.
   *
   * @param file where to; a symbolic link is followed
   * @param tensors their names in the file, which must be texts that UTF-8 has, and elements, which
   *     are written in the shape's order whatever the layout
   * @throws IllegalArgumentException if a name cannot be one
   * @throws IllegalStateException if a tensor is closed
   * @throws IOException if the file cannot be written
   */
  public static void write(Path file, Map<String, Tensor> tensors) throws IOException {
    Objects.requireNonNull(file, "file");
    Objects.requireNonNull(tensors, "tensors");
    List<Map.Entry<String, Tensor>> own = new ArrayList<>();
    for (Map.Entry<String, Tensor> entry : tensors.entrySet()) {
      String name = Objects.requireNonNull(entry.getKey(), "a name in tensors");
      own.add(Map.entry(name, Objects.requireNonNull(entry.getValue(), "a tensor in tensors")));
    }
    own.sort(
        Comparator.comparingInt((Map.Entry<String, Tensor> e) -> -e.getValue().dataType().bytes())
            .thenComparing(e -> e.getValue().dataType())
            .thenComparing(Map.Entry::getKey));
    ByteBuffer header = header(own);
    List<Tensor> held = new ArrayList<>();
    try {
      for (Map.Entry<String, Tensor> entry : own) {
        entry.getValue().acquire();
        held.add(entry.getValue());
      }
      write(file, header, held);
    } finally {
      held.forEach(Tensor::release);
    }
  }

  private static void write(Path file, ByteBuffer header, List<Tensor> tensors) throws IOException {
    requireLittleEndian();
    Path target = PartialFile.followed(file);
    Path folder = target.toAbsolutePath().getParent();
    if (Files.exists(target) && !Files.isRegularFile(target)) {
      throw new FileSystemException(file.toString(), null, "is no regular file");
    }
    if (!Files.isDirectory(folder)) {
      throw new NoSuchFileException(file.toString(), null, "there is no folder " + folder);
    }
    try (PartialFile partial = PartialFile.of(target)) {
      TensorBytes.writeFully(header, partial.channel());
      for (Tensor tensor : tensors) {
        try (Tensor ordered = tensor.in(Layout.CHANNELS_FIRST)) {
          TensorBytes.write(ordered, partial.channel());
        }
      }
      partial.channel().force(true); // before it has the name: a system that stops loses neither
      partial.replace();
    }
  }

  /** The header's length and the header, filled up with spaces. */
  private static ByteBuffer header(List<Map.Entry<String, Tensor>> tensors) throws IOException {
    StringWriter text = new StringWriter();
    try (JsonWriter json = new JsonWriter(text)) {
      json.beginObject();
      long at = 0;
      for (Map.Entry<String, Tensor> entry : tensors) {
        Tensor tensor = entry.getValue();
        long end = at + tensor.size() * tensor.dataType().bytes();
        json.name(requireName(entry.getKey())).beginObject();
        json.name("dtype")
            .value(SafetensorsHeader.nameOf(tensor.dataType()))
            .name("shape")
            .beginArray();
        for (long extent : tensor.extents()) {
          json.value(extent);
        }
        json.endArray().name("data_offsets").beginArray().value(at).value(end).endArray();
        json.endObject();
        at = end;
      }
      json.endObject();
    }
    byte[] utf8 = text.toString().getBytes(StandardCharsets.UTF_8);
    int length = (utf8.length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    ByteBuffer header = ByteBuffer.allocate(Long.BYTES + length).order(ByteOrder.LITTLE_ENDIAN);
    header.putLong(length).put(utf8);
    while (header.hasRemaining()) {
      header.put((byte) ' ');
    }
    return header.flip();
  }

  private static String requireName(String name) {
    if (name.equals("__metadata__") || !StandardCharsets.UTF_8.newEncoder().canEncode(name)) {
      throw new IllegalArgumentException("a tensor cannot have the name \"" + name + "\"");
    }
    return name;
  }

  /**
   * Tensors under other names, such as PyTorch's for Keras's: {@code
   * norm.load(Weights.renamed(state, Weights.KERAS))}.
   *
   * @param tensors under any names
   * @param names for some of these names others; names that it does not have stay
   * @return the same tensors in the same order
   * @throws IllegalArgumentException if two get one name
   */
  public static Map<String, Tensor> renamed(
      Map<String, Tensor> tensors, Map<String, String> names) {
    Objects.requireNonNull(tensors, "tensors");
    Objects.requireNonNull(names, "names");
    Map<String, Tensor> renamed = new LinkedHashMap<>();
    for (Map.Entry<String, Tensor> entry : tensors.entrySet()) {
      String name = names.getOrDefault(entry.getKey(), entry.getKey());
      if (renamed.containsKey(name)) {
        throw new IllegalArgumentException("two tensors would have the name \"" + name + "\"");
      }
      renamed.put(name, entry.getValue());
    }
    return renamed;
  }
}
