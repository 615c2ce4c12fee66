package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.StringWriter;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.DynamicTest;

/** Code of a documentation, each piece in a class of its own, which are compiled together. */
public final class Snippets {
  private static final String FRAME =
      """
      import static java.nio.channels.FileChannel.MapMode.*;
      import io.nativenorm.*;
      %s
      import java.nio.*;
      import java.nio.file.*;
      import java.time.Duration;
      import java.util.*;
      public class %s extends %s {
        @Override public void run() throws Exception {
      %s
        }
      }
      """;

  private final Path folder;
  private final Class<? extends Context> context;
  private final Map<String, Path> sources = new LinkedHashMap<>();

  /** What a snippet finds there, and how it is called. */
  public abstract static class Context {
    public abstract void run() throws Exception;

    /** Runs it, with what it finds there. */
    void begin(Path folder) throws Exception {
      run();
    }
  }

  /**
   * None at first.
   *
   * @param folder where they are compiled
   * @param context the public class that they extend
   */
  Snippets(Path folder, Class<? extends Context> context) {
    this.folder = folder;
    this.context = context;
  }

  void add(String title, String code) throws Exception {
    String name = "Snippet" + sources.size();
    String foreign = code.contains("MemorySegment") ? "import java.lang.foreign.*;" : "";
    String source = FRAME.formatted(foreign, name, context.getCanonicalName(), code);
    Path before = sources.put(title, Files.writeString(folder.resolve(name + ".java"), source));
    assertTrue(before == null, "twice: " + title);
  }

  /** A test for each, if there are so many. */
  Stream<DynamicTest> tests(int atLeast) throws Exception {
    assertTrue(sources.size() >= atLeast, "only " + sources.size() + " snippets: " + sources);
    compile();
    List<DynamicTest> tests = new ArrayList<>();
    sources.forEach(
        (title, source) -> {
          String name = source.getFileName().toString().replace(".java", "");
          tests.add(DynamicTest.dynamicTest(title, () -> run(name)));
        });
    return tests.stream();
  }

  private void compile() throws Exception {
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter messages = new StringWriter();
    List<String> options =
        List.of("-cp", System.getProperty("java.class.path"), "-d", folder.toString());
    try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
      boolean compiled =
          compiler
              .getTask(
                  messages,
                  files,
                  null,
                  options,
                  null,
                  files.getJavaFileObjectsFromPaths(List.copyOf(sources.values())))
              .call();
      assertTrue(compiled, messages + " in " + sources);
    }
  }

  private void run(String name) throws Exception {
    try (URLClassLoader loader = new URLClassLoader(new URL[] {folder.toUri().toURL()})) {
      ((Context) loader.loadClass(name).getConstructor().newInstance()).begin(folder);
    }
  }
}
