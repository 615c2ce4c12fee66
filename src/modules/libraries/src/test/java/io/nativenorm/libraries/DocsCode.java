package io.nativenorm.libraries;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;

/**
 * A piece of the code in docs/with-other-libraries.md that the core cannot compile. Behind {@code
 * ```java} stands the test that runs it.
 *
 * @param test simple name of the test
 * @param code what is compiled: imports, types whose lines are not indented, and statements
 */
record DocsCode(String test, String code) {
  private static final Path PAGE = Path.of("../../../docs/with-other-libraries.md");

  private static final Pattern CODE = Pattern.compile("```java (\\w+)\n(.*?)```", Pattern.DOTALL);

  private static final Pattern TYPE =
      Pattern.compile(
          "^(?:final )?(?:class|record) (\\w+).*?^}\n", Pattern.DOTALL | Pattern.MULTILINE);

  private static final Pattern IMPORT = Pattern.compile("^import .*;\n", Pattern.MULTILINE);

  static List<DocsCode> all() {
    List<DocsCode> all = new ArrayList<>();
    try {
      Matcher code = CODE.matcher(Files.readString(PAGE));
      while (code.find()) {
        all.add(new DocsCode(code.group(1), code.group(2)));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return all;
  }

  /** The types that it declares; the tests and the programs that time use the module's own. */
  List<String> types() {
    return found(TYPE, 0);
  }

  List<String> typeNames() {
    return found(TYPE, 1);
  }

  private List<String> found(Pattern pattern, int group) {
    List<String> found = new ArrayList<>();
    Matcher matcher = pattern.matcher(code);
    while (matcher.find()) {
      found.add(matcher.group(group));
    }
    return found;
  }

  /** The first line that is no import. */
  String title() {
    return IMPORT.matcher(code).replaceAll("").strip().lines().findFirst().orElseThrow();
  }

  /** Compiles and runs it, after statements that come before. */
  void run(String given, Path folder) throws Exception {
    String statements = TYPE.matcher(IMPORT.matcher(code).replaceAll("")).replaceAll("");
    String source =
        "import io.nativenorm.*;\nimport java.nio.*;\nimport java.util.*;\n"
            + String.join("", found(IMPORT, 0))
            + String.join("", types())
            + "public class Snippet {\npublic static void main(String[] args) throws Exception {\n"
            + given
            + statements
            + "}}\n";
    Path file = Files.writeString(folder.resolve("Snippet.java"), source);
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter messages = new StringWriter();
    boolean compiled =
        compiler
            .getTask(
                messages,
                null,
                null,
                List.of("-cp", System.getProperty("java.class.path"), "-d", folder.toString()),
                null,
                compiler.getStandardFileManager(null, null, null).getJavaFileObjects(file))
            .call();
    assertTrue(compiled, messages.toString());
    try (URLClassLoader loader = new URLClassLoader(new URL[] {folder.toUri().toURL()})) {
      loader.loadClass("Snippet").getMethod("main", String[].class).invoke(null, (Object) null);
    }
  }
}
