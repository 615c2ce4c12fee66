package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Programs that load the library again and again, such as application servers: what stays. */
class ClassLoadersTest {
  private static final int LOADERS = 4;

  @TempDir Path cache;

  @BeforeEach
  void countsTheLinuxWay() {
    assumeTrue(Files.isDirectory(Path.of("/proc/self/task")), "threads are counted the Linux way");
    TestEngines.assumeFused();
  }

  /** What a program does, in a loader of its own: a call that is large enough for a worker. */
  public static final class Program implements Runnable {
    @Override
    public void run() {
      try (LayerNorm layer = LayerNorm.builder(1024).backend(Backend.FUSED).threads(2).build();
          Tensor x = Tensor.zeros(512, 1024); // wakes a worker
          Pass pass = layer.forwardTraining(x);
          Gradients gradients = pass.backward(x)) {
        if (gradients.input().toArray()[7] != 0) {
          throw new AssertionError();
        }
      }
    }
  }

  /** Runs it in some loaders, which are closed and dropped. */
  static final class Loads {
    private static final int MOST_COLLECTIONS = 40;

    /**
     * {@link java.lang.runtime.ObjectMethods} keeps the class of the last component it met, newer
     * ones softly.
     */
    private record Displaces(Thread.State component) {}

    public static void main(String[] args) throws Exception {
      List<WeakReference<ClassLoader>> loaders = new ArrayList<>();
      for (int i = 0; i < LOADERS; i++) {
        loaders.add(new WeakReference<>(load()));
      }
      System.out.println("loaded: " + workers() + " workers, " + libraries() + " libraries");
      Displaces last = new Displaces(Thread.State.NEW);
      System.out.println(last.equals(new Displaces(Thread.State.NEW)) + " " + last.hashCode());
      for (int i = 0; i < MOST_COLLECTIONS && (alive(loaders) > 0 || workers() > 0); i++) {
        System.gc();
        Thread.sleep(25);
      }
      System.out.printf(
          "dropped: %d loaders, %d workers, %d libraries%n",
          alive(loaders), workers(), libraries());
    }

    private static ClassLoader load() throws Exception {
      List<URL> urls = new ArrayList<>();
      for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
        urls.add(Path.of(entry).toUri().toURL());
      }
      ClassLoader parent = ClassLoader.getPlatformClassLoader();
      try (URLClassLoader loader = new URLClassLoader(urls.toArray(new URL[0]), parent)) {
        Class<?> program = loader.loadClass(Program.class.getName());
        ((Runnable) program.getConstructor().newInstance()).run();
        return loader;
      }
    }

    private static long alive(List<WeakReference<ClassLoader>> loaders) {
      return loaders.stream().filter(loader -> loader.get() != null).count();
    }

    private static long workers() throws IOException {
      try (Stream<Path> tasks = Files.list(Path.of("/proc/self/task"))) {
        return tasks.filter(task -> name(task).matches("nativenorm-\\d+")).count();
      }
    }

    private static String name(Path task) {
      try {
        return Files.readString(task.resolve("comm")).strip();
      } catch (IOException e) {
        return ""; // it has ended
      }
    }

    private static long libraries() throws IOException {
      try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
        return maps.filter(line -> line.contains("libjninativenorm"))
            .map(line -> line.substring(line.lastIndexOf('/')))
            .distinct()
            .count();
      }
    }
  }

  private JavaProcess load(String... options) throws Exception {
    List<String> all = new ArrayList<>(List.of(options));
    all.add("-XX:ActiveProcessorCount=2");
    all.add("-XX:SoftRefLRUPolicyMSPerMB=0");
    all.add("-Dorg.bytedeco.javacpp.cachedir=" + cache);
    JavaProcess process = JavaProcess.run(Loads.class, Map.of(), all.toArray(new String[0]));
    assertEquals(0, process.status(), process.output());
    return process;
  }

  @Test
  void withoutTheDeallocatorThreadNothingStays() throws Exception {
    String output = load("-Dorg.bytedeco.javacpp.noPointerGC=true").output();
    assertTrue(output.contains("loaded: 4 workers, 4 libraries"), output);
    assertTrue(output.contains("dropped: 0 loaders, 0 workers, 0 libraries"), output);
  }

  /** JavaCPP's thread keeps the loader of JavaCPP, and so all of ours: as documented. */
  @Test
  void withTheDeallocatorThreadTheLoadersStayWithAllTheyHave() throws Exception {
    String output = load().output();
    assertTrue(output.contains("dropped: 4 loaders, 4 workers, 4 libraries"), output);
  }
}
