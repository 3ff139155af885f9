from proto import *
import sys
name=sys.argv[1]
task={'bfcl':d.bfcl,'intercode':d.intercode,'routellm':d.routellm}[name](D)
if name=='bfcl' and len(sys.argv)>2 and sys.argv[2]=='2': task=d.bfcl(D,d.BFCL_ARMS[:2])
A=len(task.arms); N=len(task.texts)
H=hashed(task.texts)
known=0.1*task.costs
meanc=known.mean(0)
class Tok:
    def __init__(s,lr=.1,know=True): s.m=TokLogit(A,lr=lr); s.c=np.zeros(A); s.n=np.zeros(A)
    def utility(s,i): return s.m.predict(H[i])-s.c
    def learn(s,i,a,ok,u,p):
        s.m.learn(H[i],a,ok); s.n[a]+=1; s.c[a]+=(known[i,a]-s.c[a])/s.n[a]
class Hash64:
    """ridge on sign-hashed tokens projected to k dims"""
    def __init__(s,X,lam=1.0): s.X=X; s.m=Ridge(X.shape[1],A,lam); s.c=np.zeros(A); s.n=np.zeros(A)
    def utility(s,i): return s.m.predict(s.X[i])-s.c
    def learn(s,i,a,ok,u,p):
        s.m.learn(s.X[i],a,ok); s.n[a]+=1; s.c[a]+=(known[i,a]-s.c[a])/s.n[a]
def proj(k,seed=0):
    rng=np.random.default_rng(seed); R=rng.normal(size=(1<<14,k))/np.sqrt(k)
    X=np.array([R[h].sum(0)/np.sqrt(len(h)) for h in H]); return np.c_[np.ones(N),X]
if __name__=='__main__':
    O=10 if N<2000 else 2
    for lr in (.03,.1,.3):
        print('tok lr',lr,'eps',run(task,lambda:Tok(lr),O),'sq',run(task,lambda:Tok(lr),O,('sq',100,.5)),flush=True)
    for k,lam in ((32,1),(64,1),(64,5)):
        X=proj(k); print('ridge',k,lam,'eps',run(task,lambda:Hash64(X,lam),O),'sq',run(task,lambda:Hash64(X,lam),O,('sq',100,.5)),flush=True)
