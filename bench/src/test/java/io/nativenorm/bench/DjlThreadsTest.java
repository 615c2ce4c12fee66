package io.nativenorm.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import ai.djl.pytorch.jni.JniUtils;
import io.nativenorm.Layout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/** DJL's calls run on as many threads as the race says, however many the session before had. */
class DjlThreadsTest {
  private static final Cell CELL =
      new Cell(Shape.named("resnet50-conv2"), Layout.CHANNELS_FIRST, Direction.INFERENCE);

  /** Of the most that one thread of the process had: the others spin for a while, or sleep. */
  private static final double WORKS = 0.25;

  @Test
  @EnabledOnOs(OS.LINUX)
  void asManyWorkAsAreSaid() throws IOException {
    Fork.run(Program.class, List.of());
  }

  /** In a process of its own: DJL's PyTorch cannot be loaded beside another one. */
  static final class Program {
    public static void main(String[] none) throws IOException {
      for (int threads : List.of(2, 1, 2)) {
        Workload workload = Workload.of(CELL, threads);
        try (Contestant.Session session = Contestants.named("DJL").prepare(workload)) {
          repeat(session, 20);
          assertEquals(threads, JniUtils.getNumThreads());
          Map<String, Long> before = ticks();
          repeat(session, 100);
          Map<String, Long> ticks = ticks();
          ticks.replaceAll((thread, now) -> now - before.getOrDefault(thread, 0L));
          long most = ticks.values().stream().max(Long::compare).orElseThrow();
          long working = ticks.values().stream().filter(t -> t > WORKS * most).count();
          assertEquals(threads, working, ticks + " ticks of each thread");
        }
      }
      System.exit(0); // whatever threads it leaves
    }
  }

  private static void repeat(Contestant.Session session, int calls) {
    for (int i = 0; i < calls; i++) {
      session.call();
    }
  }

  /** Of processor time, a hundredth of a second each, by the thread's number. */
  private static Map<String, Long> ticks() throws IOException {
    Map<String, Long> ticks = new HashMap<>();
    try (Stream<Path> threads = Files.list(Path.of("/proc/self/task"))) {
      for (Path thread : threads.toList()) {
        String line = Files.readString(thread.resolve("stat"));
        String[] fields = line.substring(line.lastIndexOf(')') + 2).split(" ");
        ticks.put(
            thread.getFileName().toString(),
            Long.parseLong(fields[11]) + Long.parseLong(fields[12]));
      }
    }
    return ticks;
  }
}
