package io.nativenorm;

import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;

/** Closes arenas while another thread computes on their memory, in a process that may not crash. */
final class ArenaRace {
  private static final int ROWS = 64;
  private static final int LENGTH = 64;
  private static final long FLOATS = ROWS * LENGTH;

  private final AtomicInteger refusedCalls = new AtomicInteger();
  private int refusedCloses;
  private int closedAtOnce;

  private final LayerNorm layer = LayerNorm.of(LENGTH);
  private final InstanceNorm planes = InstanceNorm.of(4);
  private final List<LayerNorm> ofEngines = new ArrayList<>();
  private final Tensor own = Tensor.zeros(ROWS, LENGTH);
  private final Tensor bf16 = own.to(DataType.BF16);
  private final float[] values = new float[(int) FLOATS];

  private ArenaRace() {
    for (Backend backend : TestEngines.all()) {
      ofEngines.add(LayerNorm.builder(LENGTH).backend(backend).build());
    }
  }

  /** Every way native code, or Java code by addresses, meets a tensor's memory. */
  private List<Runnable> uses(Tensor x, Tensor image, Tensor y) {
    List<Runnable> uses = new ArrayList<>();
    uses.add(() -> layer.forward(x, y));
    uses.add(() -> layer.forward(own, y));
    uses.add(() -> layer.forward(x, bf16));
    uses.add(() -> planes.forward(image).close());
    uses.add(
        () -> {
          try (Pass pass = layer.forwardTraining(x)) {
            pass.backward(y).close();
          }
        });
    uses.add(() -> x.to(DataType.F16).close());
    uses.add(() -> image.to(Layout.CHANNELS_LAST).close());
    uses.add(x::toArray);
    uses.add(() -> y.copyFrom(values));
    if (TestEngines.hasFused()) {
      uses.add(() -> NativeNorm.plainPass(x, y, 1, 0));
    }
    for (LayerNorm each : ofEngines) {
      uses.add(() -> each.forward(x, y));
    }
    return uses;
  }

  /** Calls until the arena is closed, which may not take long. */
  private void call(Runnable use) {
    try {
      for (int i = 0; i < 1000; i++) {
        use.run();
      }
    } catch (IllegalStateException e) {
      refusedCalls.incrementAndGet();
    }
  }

  private void close(TestArena arena) throws Exception {
    boolean was = false;
    while (true) {
      try {
        arena.end();
        closedAtOnce += was ? 0 : 1;
        return;
      } catch (IllegalStateException e) {
        if (!e.getMessage().contains("acquired")) {
          throw e;
        }
        was = true;
        refusedCloses++;
        Thread.onSpinWait();
      }
    }
  }

  private void run(int rounds, Path file) throws Exception {
    ExecutorService worker = Executors.newSingleThreadExecutor();
    Random random = new Random(1);
    for (int round = 0; round < rounds; round++) {
      TestArena arena = TestArena.of("Shared");
      Object segment = arena.map(file, 2 * FLOATS * Float.BYTES);
      long from = TestArena.address(segment);
      long behind = from + FLOATS * Float.BYTES;
      Layout order = Layout.CHANNELS_FIRST;
      try (Tensor x = Tensor.wrap(from, segment, DataType.F32, order, ROWS, LENGTH);
          Tensor image = x.reshape(16, 4, 8, 8);
          Tensor y = Tensor.wrap(behind, segment, DataType.F32, order, ROWS, LENGTH)) {
        List<Runnable> uses = uses(x, image, y);
        Runnable use = uses.get(round % uses.size());
        Future<?> calls = worker.submit(() -> call(use));
        long until = System.nanoTime() + random.nextInt(100_000);
        while (System.nanoTime() < until) {
          Thread.onSpinWait();
        }
        close(arena);
        calls.get();
      }
    }
    worker.shutdown();
    System.out.println(
        rounds
            + " rounds, closed at once: "
            + closedAtOnce
            + ", closes refused: "
            + refusedCloses
            + ", calls refused: "
            + refusedCalls);
  }

  /** As many rounds as the property says. */
  public static void main(String[] args) throws Exception {
    Path file = Files.createTempFile("nativenorm", ".race");
    try (RandomAccessFile sized = new RandomAccessFile(file.toFile(), "rw")) {
      sized.setLength(2 * FLOATS * Float.BYTES);
      new ArenaRace().run(Integer.getInteger("rounds"), file);
    } finally {
      Files.delete(file);
    }
  }
}
