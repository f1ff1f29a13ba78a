//! A server that answers each command as a test says, for what no real Redis does when a test wants it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

type Script = Arc<dyn Fn(&[String]) -> Option<String> + Send + Sync>;

pub struct FakeRedis {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl FakeRedis {
    /// `script` answers in the server's own words, such as `+OK\r\n`; `None` is silence.
    pub async fn answering(script: impl Fn(&[String]) -> Option<String> + Send + Sync + 'static) -> Self {
        let (script, asked): (Script, _) = (Arc::new(script), Arc::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, script, Arc::clone(&asked)));
        Self { address, asked, _tasks: tasks }
    }

    /// A sentinel that believes in a primary since an election, and knows no replicas.
    pub async fn sentinel(primary: SocketAddr, epoch: u64) -> Self {
        Self::answering(move |command| {
            Some(match command[1].as_str() {
                "GET-MASTER-ADDR-BY-NAME" => list(&[&primary.ip().to_string(), &primary.port().to_string()]),
                "MASTER" => list(&["config-epoch", &epoch.to_string(), "flags", "master"]),
                _ => "*0\r\n".to_owned(),
            })
        })
        .await
    }

    /// The names of the commands so far, those of the client's greeting left out.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub fn list(words: &[&str]) -> String {
    let words: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{words}", words.matches('$').count())
}

async fn accept(listener: TcpListener, script: Script, asked: Arc<Mutex<Vec<String>>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, script.clone(), asked.clone()));
    }
}

async fn serve(stream: TcpStream, script: Script, asked: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(command) = read_command(&mut stream).await {
        let answer = if command[0] == "CLIENT" {
            Some("+OK\r\n".to_owned())
        } else {
            asked.lock().unwrap_or_else(PoisonError::into_inner).push(command[0].clone());
            script(&command)
        };
        if let Some(answer) = answer
            && stream.write_all(answer.as_bytes()).await.is_err()
        {
            return;
        }
    }
}

/// An array of strings, as every client sends.
async fn read_command(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let count = read_number(stream).await?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut word = vec![0; read_number(stream).await? + 2];
        stream.read_exact(&mut word).await.ok()?;
        words.push(String::from_utf8_lossy(&word[..word.len() - 2]).into_owned());
    }
    Some(words)
}

async fn read_number(stream: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.get(1..)?.trim().parse().ok()
}
