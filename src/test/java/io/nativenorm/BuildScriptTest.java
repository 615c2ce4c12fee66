package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code build-native.sh --install} on machines it may not install on as it likes. They are played:
 * the path has the system's plain tools and scripts in place of what would change the machine,
 * which write down how they were called. What {@code apt-get} brings are tools that do nothing.
 */
@EnabledOnOs(OS.LINUX)
class BuildScriptTest {
  private static final List<String> PLAIN =
      List.of(
          "sh",
          "env",
          "cat",
          "chmod",
          "cp",
          "cut",
          "dirname",
          "grep",
          "mkdir",
          "mktemp",
          "nproc",
          "readlink",
          "rm",
          "script",
          "sed",
          "setsid",
          "tr",
          "uname");

  /** Highway's headers are looked for in the system's own folders, too. */
  private static final String EVERYTHING =
      "apt-get install -y --no-install-recommends g++"
          + (Files.exists(Path.of("/usr/include/hwy/highway.h")) ? "" : " libhwy-dev")
          + " cmake make default-jdk-headless maven";

  @TempDir Path folder;

  private Path tools;
  private Path clone;
  private Path calls;

  @BeforeEach
  void makeMachine() throws IOException {
    tools = Files.createDirectory(folder.resolve("bin"));
    clone = Files.createDirectory(folder.resolve("clone"));
    calls = Files.createFile(folder.resolve("calls"));
    for (String file : List.of("build-native.sh", "pom.xml")) {
      Files.copy(Path.of(file), clone.resolve(file));
    }
    // Not links: through one a tool of the machine's own could be written over.
    for (String name : PLAIN) {
      String there = Files.exists(Path.of("/usr/bin/" + name)) ? "/usr/bin/" : "/bin/";
      script(name, "exec " + there + name + " \"$@\"");
    }
    tool(
        "apt-get",
        "[ \"$1\" != install ] ||",
        "for name in g++ cmake make mvn javac; do",
        "  echo '#!/bin/sh' >" + tools + "/$name && chmod +x " + tools + "/$name",
        "done");
  }

  private void script(String name, String... lines) throws IOException {
    Path file = tools.resolve(name);
    Files.writeString(file, "#!/bin/sh\n" + String.join("\n", lines) + "\n");
    assertTrue(file.toFile().setExecutable(true));
  }

  /** A script that writes down how it was called. */
  private void tool(String name, String... lines) throws IOException {
    script(name, "echo \"" + name + " $*\" >>" + calls, String.join("\n", lines));
  }

  /** Whom the script runs as, and whose the clone is. */
  private void user(int uid, int owner) throws IOException {
    tool("id", "echo " + uid);
    tool("ls", "echo drwxr-xr-x 1 " + owner + " 0 4096 Jan 1 00:00 .");
  }

  /** A sudo that wants a password, which only a terminal can give, or none. */
  private void sudo(boolean password) throws IOException {
    String ask = "[ \"$1\" != -n ] && : </dev/tty || exit 1";
    tool("sudo", password ? ask : "[ \"$1\" != -n ] || shift", "exec \"$@\"");
  }

  private JavaProcess install(boolean terminal, String... environment) throws Exception {
    List<String> command = new ArrayList<>(List.of("env", "-i", "PATH=" + tools));
    command.addAll(List.of(environment));
    String script = "sh " + clone + "/build-native.sh --install";
    command.addAll(
        terminal
            ? List.of("script", "-qec", script, "/dev/null")
            : List.of("setsid", "-w", "sh", "-c", script));
    return JavaProcess.run(command, Map.of());
  }

  private boolean installed() throws IOException {
    return Files.readAllLines(calls).contains(EVERYTHING);
  }

  private void assertNotInstalledBut(JavaProcess process, String... says) throws IOException {
    assertEquals(3, process.status(), process.output());
    for (String what : says) {
      assertTrue(process.output().contains(what), process.output());
    }
    assertFalse(Files.readString(calls).contains("apt-get install"), process.output());
    assertFalse(Files.exists(clone.resolve("target")), process.output());
  }

  @Test
  void rootInstalls() throws Exception {
    user(0, 0);
    JavaProcess process = install(false);
    assertTrue(installed(), process.output());
    // The JDK that came is an empty file.
    assertTrue(process.output().contains("a JDK with javac"), process.output());
  }

  @Test
  void withoutSudoItSaysWhatRootHasToRun() throws Exception {
    user(1000, 1000);
    assertNotInstalledBut(install(true), "there is no sudo here", "As root:  " + EVERYTHING);
  }

  @Test
  void whereSudoCannotAskItSaysWhatToRun() throws Exception {
    user(1000, 1000);
    sudo(true);
    assertNotInstalledBut(
        install(false), "sudo needs a password, and there is no terminal", "  sudo " + EVERYTHING);
  }

  @Test
  void onATerminalSudoAsks() throws Exception {
    user(1000, 1000);
    sudo(true);
    JavaProcess process = install(true);
    assertTrue(installed(), process.output());
  }

  @Test
  void sudoThatAsksNothingNeedsNoTerminal() throws Exception {
    user(1000, 1000);
    sudo(false);
    JavaProcess process = install(false);
    assertTrue(installed(), process.output());
  }

  @Test
  void whatSudoRefusesIsNotInstalled() throws Exception {
    user(1000, 1000);
    tool("sudo", "echo not in the sudoers file", "exit 1");
    JavaProcess process = install(true);
    assertEquals(1, process.status(), process.output());
    assertTrue(process.output().contains("failed: sudo " + EVERYTHING), process.output());
  }

  /** A JDK that is there, of the version it says. */
  private String jdk(String version) throws IOException {
    Path home = folder.resolve("jdk");
    Files.createDirectories(home.resolve("bin"));
    Files.createDirectories(home.resolve("include"));
    Files.writeString(home.resolve("include/jni.h"), "");
    Files.writeString(home.resolve("release"), "JAVA_VERSION=\"" + version + "\"\n");
    Files.writeString(home.resolve("bin/javac"), "");
    assertTrue(home.resolve("bin/javac").toFile().setExecutable(true));
    return "JAVA_HOME=" + home;
  }

  @Test
  void rootUnderSudoLeavesNothingInAUsersClone() throws Exception {
    user(0, 1000);
    JavaProcess process = install(false, "SUDO_USER=ada", "SUDO_UID=1000", jdk("17.0.15"));
    assertEquals(0, process.status(), process.output());
    assertTrue(Files.readString(calls).contains("apt-get install"), process.output());
    assertTrue(process.output().contains("as ada:  ./build-native.sh"), process.output());
    assertFalse(Files.exists(clone.resolve("target")), process.output());
  }

  @Test
  void rootUnderSudoBuildsInACloneOfItsOwn() throws Exception {
    user(0, 0);
    JavaProcess process = install(false, "SUDO_USER=ada", "SUDO_UID=1000", jdk("21"));
    assertEquals(0, process.status(), process.output());
    assertTrue(Files.readString(calls).contains("apt-get install"), process.output());
    assertTrue(Files.exists(clone.resolve("target/native/key")), process.output());
  }

  @Test
  void aJdkThatIsTooOldIsNamed() throws Exception {
    user(0, 0);
    for (String old : List.of("1.8.0_402", "11.0.22")) {
      JavaProcess process = install(false, jdk(old));
      assertEquals(3, process.status(), process.output());
      assertTrue(process.output().contains("a JDK 17 or later: "), process.output());
    }
  }

  /** Before anything is fetched. */
  @Test
  void aRaceSaysFirstWhatItGets() throws Exception {
    Files.createDirectory(clone.resolve("bench"));
    for (String file : List.of("bench/run.sh", "bench/install.sh")) {
      Files.copy(Path.of(file), clone.resolve(file));
    }
    Path script = clone.resolve("bench/run.sh");
    tool("mvn", "echo fetching", "exit 1");
    JavaProcess process =
        JavaProcess.run(
            List.of("env", "-i", "PATH=" + tools, "sh", script.toString(), "quick"), Map.of());
    assertEquals(1, process.status(), process.output());
    assertTrue(
        process.output().matches("(?s).*770 MB.*1\\.6 GB.*432 MB.*fetching.*"), process.output());
  }
}
