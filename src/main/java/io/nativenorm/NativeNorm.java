package io.nativenorm;

import io.nativenorm.engine.Engine;
import io.nativenorm.engine.Engines;
import io.nativenorm.engine.memory.MemoryPool;
import java.lang.module.ModuleDescriptor;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * What holds for the whole process: engines, threads, version.
 *
 * <pre>{@code
 * System.out.println(NativeNorm.describe());                  // the engines there are, or why not
 * System.out.println(NativeNorm.threads());                   // how many threads a call may have
 * }</pre>
 *
 * <p>System properties, read when a layer is built: {@code nativenorm.backend} (auto, fused,
 * onednn, java) is the backend of layers that name none; {@code nativenorm.threads} is the number
 * of threads and {@code nativenorm.require} a list of engines, such as {@code fused,onednn},
 * without which no layer is built, both as the first layer finds them. {@code nativenorm.pool},
 * read with the first tensor or layer, is the most memory that closed tensors leave for the next
 * ones: a number of bytes, with {@code k}, {@code m} or {@code g} of so many of them, and 0 for
 * none. It is never more than half of JavaCPP's {@code maxBytes} and a quarter of its {@code
 * maxPhysicalBytes}, which is the default. What nobody has used for five seconds is freed, but for
 * 8 MB. {@code nativenorm.instructions} (sse4, avx2, avx512, neon), read with the first layer or
 * copy in another type or order, is the best instruction set that FUSED may use; one of another
 * architecture allows all. An {@link IllegalArgumentException} says that a property has another
 * value.
 *
 * <p>FUSED computes as Java does, rounding to nearest and with subnormal numbers, also on threads
 * whose floating-point control word (MXCSR, FPCR) native code has changed. On the other engines
 * such a thread computes its part of a call in its own way, and no other thread does.
 *
 * <p>FUSED's threads, at most one less than there are processors, are named {@code nativenorm-1}
 * and so on for the operating system. They end when their library is unloaded, which is when the
 * class loader of these classes and of JavaCPP's was collected. Four things keep that loader:
 * JavaCPP's deallocator thread, for ever, which {@code -Dorg.bytedeco.javacpp.noPointerGC=true}
 * leaves out, but then native memory of what is dropped without {@code close} is lost; ONEDNN's
 * thread, for ever, once a large problem ran there; the JDK, for ever, once an arena was held open;
 * and the JDK, which for records remembers the last class that it met.
 */
public final class NativeNorm {
  /** 0 until it is set or first read. */
  private static final AtomicInteger THREADS = new AtomicInteger();

  /**
   * One engine of this build.
   *
   * @param backend its name
   * @param available whether it can run anything here
   * @param detail its version and instruction set, or why it is not available
   */
  public record EngineInfo(Backend backend, boolean available, String detail) {
    /**
     * Describes an engine.
     *
     * @param backend its name
     * @param available whether it can run anything here
     * @param detail its version and instruction set, or why it is not available
     * @throws NullPointerException if the name or the detail is null
     */
    public EngineInfo {
      Objects.requireNonNull(backend, "backend");
      Objects.requireNonNull(detail, "detail");
    }
  }

  private NativeNorm() {}

  private static int initialThreads() {
    String wanted = System.getProperty("nativenorm.threads");
    if (wanted == null) {
      return Runtime.getRuntime().availableProcessors();
    }
    try {
      return requireThreads(Integer.parseInt(wanted.strip()));
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          "nativenorm.threads expects a whole number, but got " + wanted);
    }
  }

  static int requireThreads(int count) {
    if (count < 1) {
      throw new IllegalArgumentException("threads must be 1 or more, but got " + count);
    }
    return count;
  }

  /**
   * The number of threads that may work on one call of a layer without a number of its own.
   *
   * @return by default {@link Runtime#availableProcessors}, which respects a container's limit
   */
  public static int threads() {
    if (THREADS.get() == 0) {
      THREADS.compareAndSet(0, initialThreads()); // unless another thread has set it by now
    }
    return THREADS.get();
  }

  /**
   * Changes that number, from the next call on.
   *
   * @param n 1 or more; more than there are processors counts as that many
   * @throws IllegalArgumentException if it is less than 1
   */
  public static void threads(int n) {
    THREADS.set(requireThreads(n));
  }

  /**
   * The engines in the order AUTO asks them.
   *
   * @return all of them, available or not
   */
  public static List<EngineInfo> engines() {
    List<EngineInfo> infos = new ArrayList<>();
    for (Engine engine : Engines.all()) {
      String missing = engine.unavailable().orElse(null);
      infos.add(
          new EngineInfo(
              engine.backend(), missing == null, missing == null ? engine.description() : missing));
    }
    return infos;
  }

  /**
   * A plain pass over memory, {@code y = a * x + b} for each element in memory order, by as many
   * {@link #threads}: the limit that a layer's speed is measured against.
   *
   * @param x input
   * @param y output of as many elements; it may be the input
   * @param a factor
   * @param b summand
   * @throws IllegalArgumentException if the tensors differ in size or are not F32, or y is
   *     read-only
   * @throws NativeNormException if the engine FUSED is missing, whose code this is
   */
  public static void plainPass(Tensor x, Tensor y, float a, float b) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(y, "y");
    boolean alike = x.size() == y.size() && x.dataType() == y.dataType();
    if (!alike || x.dataType() != DataType.F32 || y.isReadOnly()) {
      throw new IllegalArgumentException(
          "plainPass expects an output like the input, " + x + ", to write to, but got " + y);
    }
    x.acquire();
    try {
      y.acquire();
      try {
        Engines.plainPass(x.memory(), y.memory(), a, b, threads());
      } finally {
        y.release();
      }
    } finally {
      x.release();
    }
  }

  /** The manifest's, or on the module path, where manifests are not read, the module's. */
  private static String version() {
    ModuleDescriptor module = NativeNorm.class.getModule().getDescriptor();
    return module == null
        ? Optional.ofNullable(NativeNorm.class.getPackage().getImplementationVersion())
            .orElse("(unpackaged)")
        : module.rawVersion().orElse("(unpackaged)");
  }

  /**
   * Version, platform, threads, engines and the memory kept for the next tensors in a few lines,
   * for logs and bug reports.
   *
   * @return lines of text
   */
  public static String describe() {
    StringBuilder text = new StringBuilder("NativeNorm ").append(version());
    text.append(" on ").append(System.getProperty("os.name"));
    text.append(' ').append(System.getProperty("os.arch"));
    text.append(", Java ").append(System.getProperty("java.version"));
    text.append(", ").append(threads()).append(threads() == 1 ? " thread" : " threads");
    for (EngineInfo engine : engines()) {
      text.append("\n  ").append(engine.backend());
      text.append(engine.available() ? ": " : " is missing: ").append(engine.detail());
    }
    text.append("\n  memory kept for the next tensors: ").append(megabytes(MemoryPool.keptBytes()));
    text.append(" of at most ").append(megabytes(MemoryPool.bound()));
    return text.toString();
  }

  private static String megabytes(long bytes) {
    return String.format(Locale.ROOT, "%.1f MB", bytes / 0x1p20);
  }
}
