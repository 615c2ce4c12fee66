package io.nativenorm.cli;

import io.nativenorm.JavaProcess;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A command in a JVM of its own, for what concerns a process. */
record CommandLineProcess(int status, String out, String err) {
  private static final int PATIENCE_SECONDS = 120;

  /** The start of the command line, up to the command. */
  static List<String> java(Class<?> main, String... jvmOptions) {
    List<String> command = new ArrayList<>();
    command.add(System.getProperty("java.home") + "/bin/java");
    command.add(JavaProcess.SHORT);
    command.addAll(List.of(jvmOptions));
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
    return command;
  }

  /** Runs a line of shell, in which nativenorm is the program. */
  static CommandLineProcess shell(Path folder, String line)
      throws IOException, InterruptedException {
    String program = "nativenorm() { \"$JAVA\" $SHORT -cp \"$CLASSES\" " + Main.class.getName();
    ProcessBuilder builder = new ProcessBuilder("sh", "-c", program + " \"$@\"; }; " + line);
    builder.environment().put("JAVA", System.getProperty("java.home") + "/bin/java");
    builder.environment().put("SHORT", JavaProcess.SHORT);
    builder.environment().put("CLASSES", System.getProperty("java.class.path"));
    return end(builder.directory(folder.toFile()).start());
  }

  /** Runs a command. */
  static CommandLineProcess run(List<String> command) throws IOException, InterruptedException {
    return end(new ProcessBuilder(command).start());
  }

  /** Waits; what it writes meanwhile must fit into pipes. */
  static CommandLineProcess end(Process process) throws IOException, InterruptedException {
    try {
      if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
        throw new IOException("no end in sight");
      }
      return new CommandLineProcess(
          process.exitValue(),
          new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8),
          ownWords(new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8)));
    } finally {
      process.destroyForcibly();
    }
  }

  /**
   * Without the library's warning where FUSED is missing, which comes once a process, and without
   * the JVM's about native access, from JDK 24 on.
   */
  static String ownWords(String err) {
    return err.replaceAll(".*Engines announce\\R.*\\R", "")
        .replaceAll(
            "(?m)(^WARNING: .*(restricted|Restricted|java.lang.System::load|native-access).*\\R)+\\R?",
            "");
  }
}
